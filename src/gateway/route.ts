/** What a request asks for, worked out once: its API, what it wants of it, and which models could be meant. */
import { pathOf } from '../checkpoint/record.ts';
import type { GateRequest, Routed, RouteStage } from '../checkpoint/stages.ts';
import type { Format } from '../exchange/format.ts';
import {
  type Asked,
  formatOfRequest,
  formats,
  formatsOfRequest,
  modelsAnswer,
  modelsAsked,
} from '../exchange/formats.ts';
import { mcp } from '../exchange/mcp.ts';
import { parseMediaType } from '../exchange/media.ts';
import { opaque } from '../exchange/opaque.ts';
import { endsLike, pathReadings } from '../exchange/path-readings.ts';
import { isBelow } from '../models/load.ts';
import { type Model, pathlessFormats } from '../models/model.ts';
import type { ModelPlace, Registry } from '../models/registry.ts';

export function createRoute(models: Registry): RouteStage {
  return {
    models: () => models.list(),
    ask: (request) => ask(models, request),
    pick: (request, { format }, modelField) => {
      const match = models.match({ ...placeOf(request), modelField, format: format.id });
      return match.ok ? match.model : undefined;
    },
    describe: (asked, admitted) =>
      modelsAnswer(
        asked,
        admitted.filter(isCalledByName).map(({ name }) => name),
      ),
  };
}

/** MCP servers, and what is opaque, are no models that a caller could name. */
const isCalledByName = ({ formats }: Model): boolean => formats.some((format) => !pathlessFormats.has(format));

/**
 * A path of a model API is read by its format, and by nothing else, if its body says that it is JSON or begins like JSON:
 * servers look at the content type less than they should. Then come the paths of MCP servers, then what is opaque.
 */
function ask(models: Registry, request: GateRequest): Routed {
  const { method } = request;
  const place = placeOf(request);
  if (method === 'GET') {
    const about = modelsAsked(place.path, (name) => headerOf(request, name) !== undefined);
    if (about !== undefined) return { kind: 'models', ...about };
  }
  const admits = (format: string): boolean => models.admits({ ...place, format });
  const known = formatsOfRequest(method, place.path);
  const own = known.find(({ format }) => admits(format.id)) ?? mcpAsked(admits) ?? known[0];
  // Its server would read a call of a model API, written in another way, where it speaks that, too.
  if (own?.format === mcp && formatsLike(pathReadings(place.path) ?? []).some(({ id }) => admits(id)))
    return { kind: 'refused', code: 'path_not_admitted', format: undefined, detail: '' };
  if (own?.format === mcp && method !== 'POST')
    return { kind: 'refused', code: 'method_not_allowed', format: mcp, detail: '' };
  const isOpaque = OPAQUE_METHODS.has(method) && admits('opaque');
  if (own !== undefined)
    return { kind: 'call', ...(isOpaque && isNoJson(request) ? { format: opaque, endpoint: OPAQUE } : own) };
  // Another method on the path of a model API is no way around its reader.
  const other = formatOfRequest('POST', place.path);
  if (!isOpaque || other !== undefined || isReadByOthers(models, method, place))
    return { kind: 'refused', code: 'path_not_admitted', format: other?.format, detail: '' };
  return { kind: 'call', format: opaque, endpoint: OPAQUE };
}

/**
 * Whether a server could take a path for one that is not opaque: of a model API (also below a prefix, where servers mount
 * it), of an MCP server, of the list of models. So could one whose reading nobody knows.
 */
function isReadByOthers(models: Registry, method: string, place: ModelPlace): boolean {
  const readings = pathReadings(place.path);
  if (readings === undefined || formatsLike(readings).length > 0) return true;
  if (method === 'GET' && formats.some(({ modelListPaths }) => modelListPaths.some((list) => readings.includes(list))))
    return true;
  const below = (_: string, prefix: string): boolean =>
    readings.some((reading) => isBelow(reading, prefix.toLowerCase()));
  return models.admits({ ...place, format: 'mcp' }, below);
}

/** Formats with a path that a server could take this one for. */
function formatsLike(readings: readonly string[]): Format[] {
  return formats.filter(({ paths }) => paths.some((known) => readings.some((reading) => endsLike(reading, known))));
}

/** https://www.iana.org/assignments/http-methods, those that ask a server for something and do not ask it about itself. */
const OPAQUE_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);
const OPAQUE = { operation: 'opaque' } as const;

function mcpAsked(admits: (format: string) => boolean): Asked | undefined {
  return admits('mcp') ? { format: mcp, endpoint: { operation: 'mcp' } } : undefined;
}

/** Whether a body says that it is something else than JSON, and does not begin like JSON in any encoding. */
function isNoJson(request: GateRequest): boolean {
  const media = parseMediaType(headerOf(request, 'content-type') ?? '');
  if (media === undefined || /[/+]json$/.test(media.essence)) return false;
  const first = request.body.subarray(0, LOOKED_AT_BYTES).find((byte) => byte > 0x20 && !MARKS.has(byte));
  return first !== undefined && first !== 0x7b && first !== 0x5b;
}
/** White space as long as this is before JSON, if it is before anything. */
const LOOKED_AT_BYTES = 1024;
/** Bytes of byte order marks. */
const MARKS = new Set([0xef, 0xbb, 0xbf, 0xfe, 0xff]);

function placeOf(request: GateRequest): ModelPlace {
  return { host: hostOf(request), path: pathOf(request.path), named: request.namedModel };
}

/** Host without port, lower case; IPv6 literals keep their brackets. */
function hostOf({ host }: GateRequest): string {
  return host.toLowerCase().replace(/:\d+$/, '');
}

function headerOf({ headers }: GateRequest, name: string): string | undefined {
  return headers.find(([key]) => key === name)?.[1];
}
