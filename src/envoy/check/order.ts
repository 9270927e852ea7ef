/** Which filters are the gate's, whether they are there, and in which order. */
import { checkAuthz } from './authz.ts';
import { finding, type Known, type Report } from './finding.ts';
import type { Place } from './place.ts';
import { checkProc } from './proc.ts';

/** One HTTP filter of a chain. */
export interface Filter {
  readonly name: string;
  readonly type: string;
  readonly config: Place;
  readonly place: Place;
  readonly disabled: boolean;
}

export function filterOf(place: Place): Filter {
  const config = place.get('typed_config');
  const type = config.type === 'TypedStruct' ? (config.get('type_url').text.split('.').at(-1) ?? '') : config.type;
  return { name: place.get('name').text, type, config, place, disabled: place.get('disabled').isTrue };
}

const clusterCalled = ({ config }: Filter): string =>
  config.get('grpc_service', 'envoy_grpc', 'cluster_name').text ||
  config.get('grpc_service', 'google_grpc', 'target_uri').text;

const isAuthz = ({ type }: Filter): boolean => type === 'ExtAuthz';
const isProc = ({ type }: Filter): boolean => type === 'ExternalProcessor';

export interface Gates {
  readonly authz: readonly Filter[];
  readonly proc: readonly Filter[];
  readonly cluster: string | undefined;
}

/** Which of the filters are ours: those that call a cluster named after us, else the one that both kinds call. */
export function gatesOf(filters: readonly Filter[]): Gates {
  const all = filters.filter((filter) => isAuthz(filter) || isProc(filter));
  const named = all.filter((filter) => /sallyport/i.test(`${clusterCalled(filter)} ${filter.name}`));
  const called = (filter: Filter): string => clusterCalled(filter);
  const shared = all.filter(
    (filter) => isAuthz(filter) && all.some((other) => isProc(other) && called(other) === called(filter)),
  );
  const [sample] = named.length > 0 ? named : shared.length > 0 ? shared : all;
  if (sample === undefined) return { authz: [], proc: [], cluster: undefined };
  const ours = named.length > 0 ? named : all.filter((filter) => called(filter) === called(sample));
  return { authz: ours.filter(isAuthz), proc: ours.filter(isProc), cluster: called(sample) || undefined };
}

const AUTHZ_MISSING = {
  rule: 'filters.ext_authz_missing',
  severity: 'opens',
  shouldBe: 'ext_authz, ext_proc, router',
  why: 'Nobody asks who is calling, and no rule is applied. (The response gate then refuses every answer.)',
} as const;
const PROC_MISSING = {
  rule: 'filters.ext_proc_missing',
  severity: 'opens',
  shouldBe: 'ext_authz, ext_proc, router',
  why: 'Answers pass unmasked and unrecorded.',
} as const;

/** Filters that answer by themselves, or change what has been read, by type. */
const STRANGERS: ReadonlyMap<string, string> = new Map([
  ['Lua', 'lua'],
  ['Wasm', 'wasm'],
  ['DynamicModuleFilter', 'dynamic_modules'],
  ['HeaderMutation', 'header_mutation'],
  ['ProtoMessageExtractionConfig', 'proto_message_extraction'],
  ['GrpcJsonTranscoder', 'grpc_json_transcoder'],
]);

export function checkOrder(filters: readonly Filter[], gates: Gates, chain: Place, report: Report): void {
  const names = filters.map(({ name }) => name).join(', ');
  if (gates.authz.length === 0) report(finding(chain, AUTHZ_MISSING, names || 'no filter'));
  if (gates.proc.length === 0) report(finding(chain, PROC_MISSING, names || 'no filter'));
  // Envoy Gateway makes one filter of each kind for each policy, and enables one of them on a route.
  for (const [kind, [, second]] of [
    ['ext_authz', gates.authz],
    ['ext_proc', gates.proc],
  ] as const)
    if (second !== undefined && !second.disabled)
      report(
        finding(
          second.place,
          {
            rule: `filters.${kind}_twice`,
            severity: 'breaks',
            shouldBe: 'one',
            why: 'A request is decided once, and its plan is good for one stream; the second one refuses.',
          },
          `a second ${kind} of the gate`,
        ),
      );
  checkPositions(filters, gates, report);
}

function checkPositions(filters: readonly Filter[], gates: Gates, report: Report): void {
  const authz = filters.findIndex((filter) => gates.authz.includes(filter));
  const proc = filters.findIndex((filter) => gates.proc.includes(filter));
  const router = filters.findIndex(({ type, name }) => type === 'Router' || name === 'envoy.filters.http.router');
  const first = filters[proc];
  if (authz >= 0 && first !== undefined && proc < authz)
    report(
      finding(
        first.place,
        {
          rule: 'filters.order',
          severity: 'breaks',
          shouldBe: 'after ext_authz',
          why: 'The response gate goes by the plan of the request gate; before it there is none, and everything is refused.',
        },
        'ext_proc before ext_authz',
      ),
    );
  if (router >= 0 && router < Math.max(authz, proc))
    report(
      finding(
        filters[router]!.place,
        {
          rule: 'filters.router',
          severity: 'opens',
          shouldBe: 'last',
          why: 'The router sends the request on; filters behind it see nothing.',
        },
        'before a gate',
      ),
    );
  for (const [index, filter] of filters.entries()) checkNeighbour(filter, index, { authz, proc }, report);
}

function checkNeighbour(
  filter: Filter,
  index: number,
  { authz, proc }: { readonly authz: number; readonly proc: number },
  report: Report,
): void {
  const say = (rule: string, severity: 'opens' | 'breaks' | 'advice', shouldBe: string, why: string): void =>
    report(finding(filter.place, { rule, severity, shouldBe, why }, `${filter.name} (${filter.type})`));
  if (/^(File)?Cache(Config|V2Config)?$/.test(filter.type) || filter.name === 'envoy.filters.http.cache')
    say('filters.cache', 'opens', 'no cache', 'It answers with what was said to somebody else, past the gates.');
  else if (filter.type === 'Compressor' && proc >= 0 && index > proc)
    say(
      'filters.compressor',
      'breaks',
      'before ext_proc in the list',
      'Answers are compressed before the gate reads them, and refused.',
    );
  else if (STRANGERS.has(filter.type) && authz >= 0 && index > authz && !filter.disabled)
    say(
      `filters.${STRANGERS.get(filter.type)}`,
      'advice',
      'before ext_authz, or none',
      'It can change the request after the gate has read it, or the answer before the gate masks it.',
    );
}

export function checkGates(gates: Gates, known: Known, report: Report): void {
  for (const { config } of gates.authz) checkAuthz(config, known, report);
  for (const { config } of gates.proc) checkProc(config, known, report);
}
