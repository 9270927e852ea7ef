/** Takes the request of a case as the gate takes one from the wire: route, strict reading, which model is meant, what is found in it. */
import type { GateRequest } from '../../checkpoint/stages.ts';
import type { FormatId } from '../../exchange/facts.ts';
import { type Asked, formatsOfRequest, readRequest } from '../../exchange/formats.ts';
import { paced } from '../../exchange/pace.ts';
import { refuseTransport } from '../../exchange/transport.ts';
import { createRoute } from '../../gateway/route.ts';
import type { Filters } from '../../guard/guard.ts';
import type { Bodies } from '../../mask/bodies.ts';
import type { Model } from '../../models/model.ts';
import { createRegistry } from '../../models/registry.ts';
import type { CaseWorld, ReadRequest } from '../../policy/cases/run.ts';
import type { CaseRequest } from '../../policy/cases/schema.ts';
import { smallest } from './smallest.ts';

interface GateReaderParts {
  readonly models: readonly Model[];
  readonly bodies: Bodies;
  readonly filters: Filters | undefined;
}

type Refused = Extract<ReadRequest, { ok: false }>;
const refused = (message: string): Refused => ({ ok: false, message });

/** A model that takes other formats than its entry says is looked at alone: it may stand where another one does. */
export function createGateReader({ models, bodies, filters }: GateReaderParts): CaseWorld['read'] {
  const everyModel = createRoute(createRegistry(models));
  return async (asked, model) => {
    const isAsInFile = models.some(({ name, formats }) => name === model.name && formats === model.formats);
    const route = isAsInFile ? everyModel : createRoute(createRegistry([model]));
    const request = requestOf(asked, model);
    const transport = refuseTransport(request);
    if (transport !== undefined) return refused(`${transport.code}: ${transport.message ?? transport.detail}`);
    const routed = route.ask(request);
    if (routed.kind === 'models') return refused('it asks for the list of models: no rule decides about it');
    if (routed.kind === 'refused') return refused(`${routed.code}: ${placeOf(request)}`);
    const { format } = routed;
    if (asked.format !== undefined && asked.format !== format.id)
      return refused(`the gate takes ${placeOf(request)} for ${format.id}, not for ${asked.format}`);
    const whole = { ...request, body: bytesOf(asked, format.id, model) };
    const read = await readRequest(routed, mediaOf(whole), whole.body);
    if (!read.ok) return refused(`${read.code}: ${read.message}`);
    const meant = route.pick(whole, routed, read.value.model);
    if (meant === undefined) return refused(`unknown_model: ${whyNone(whole, routed, model, read.value.model)}`);
    const { findings } = await (format.id === 'opaque'
      ? bodies.opaqueRequest(whole.body, read.value.text)
      : bodies.request(format.id, whole.body));
    const { method, host, path } = whole;
    return {
      ok: true,
      facts: read.value,
      model: meant,
      place: { method, host, path: pathOf(path) },
      findings,
      filters: await countFilters(filters, read.value.text),
    };
  };
}

export const countFilters = async (filters: Filters | undefined, text: string): Promise<ReadonlyMap<string, number>> =>
  filters === undefined ? new Map() : await paced(filters.count(text));

/** Formats that a request may be of, as far as it says so itself; undefined: it does not. */
export function formatsAsked({ format, method = 'POST', path }: CaseRequest): readonly FormatId[] | undefined {
  if (format !== undefined) return [format];
  return path === undefined ? undefined : formatsOfRequest(method, pathOf(path)).map((asked) => asked.format.id);
}

/** As it arrives, with a body of the API that it is likely to be of. */
function requestOf(asked: CaseRequest, model: Model): GateRequest {
  const format = asked.format ?? usualFormat(model);
  const given = Object.entries(asked.headers ?? {});
  const typed = asked.headers?.['content-type'] !== undefined;
  return {
    method: asked.method ?? 'POST',
    path: asked.path ?? smallest[format].path(model),
    host: asked.host ?? model.match.hosts[0] ?? 'gateway.test',
    headers: typed ? given : [...given, ['content-type', 'application/json']],
    body: bytesOf(asked, format, model),
    clientAddress: asked.clientAddress ?? '192.0.2.10',
    joined: false,
    namedModel: undefined,
    peer: '',
    jwtAuthn: undefined,
  };
}

/** Chat, where the model has it; else the first that it has. */
const usualFormat = ({ formats }: Model): FormatId =>
  formats.includes('openai-chat') ? 'openai-chat' : ((formats[0] as FormatId | undefined) ?? 'openai-chat');

const hasBody = ({ method = 'POST', body }: CaseRequest, format: FormatId): boolean =>
  body !== undefined || (method === 'POST' && smallest[format].body !== undefined);

/** The smallest of its API where the case has none. One that is an object and names no model gets the case's. */
function bytesOf(asked: CaseRequest, format: FormatId, { name }: Model): Buffer {
  if (!hasBody(asked, format)) return Buffer.alloc(0);
  const body = asked.body ?? smallest[format].body;
  const isText = typeof body === 'string' && format === 'opaque';
  if (isText && !/[/+]json\b/.test(asked.headers?.['content-type'] ?? 'application/json')) return Buffer.from(body);
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  return Buffer.from(JSON.stringify(isObject && smallest[format].named ? { model: name, ...body } : body));
}

function mediaOf({ headers, path }: GateRequest) {
  const header = (name: string) => headers.find(([key]) => key === name)?.[1];
  return {
    contentType: header('content-type'),
    contentEncoding: header('content-encoding'),
    query: path.slice(pathOf(path).length + 1),
  };
}

const pathOf = (path: string): string => path.split('?', 1)[0]!;
const placeOf = ({ method, path }: GateRequest): string => `${method} ${pathOf(path)}`;

function whyNone(request: GateRequest, { format }: Asked, { name, match, formats }: Model, field: string): string {
  const place = `${format.id} at ${request.host}${pathOf(request.path)}`;
  if (smallest[format.id].named && !match.names.includes(field)) return `no model called ${field} takes ${place}`;
  return `${name} takes no ${place}; it takes ${formats.join(', ')}`;
}
