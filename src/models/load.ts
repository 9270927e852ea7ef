import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Document, LineCounter, type Node, parseDocument } from 'yaml';
import { type Model, namelessFormats, pathlessFormats } from './model.ts';
import { type ModelEntry, modelsFile } from './schema.ts';

/** Something wrong in models.yaml. `path` as in `models[0].upstream`; lines and columns count from 1. */
export interface ModelsProblem {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type LoadedModels =
  | { readonly ok: true; readonly models: readonly Model[] }
  | { readonly ok: false; readonly problems: readonly ModelsProblem[] };

/** Reads the credential that an entry names. Throws (with a `code`) when it cannot. */
export type ReadSecret = (source: { readonly file: string } | { readonly env: string }) => Promise<string>;

type Path = readonly PropertyKey[];
type Complain = (path: Path, message: string) => void;

const maxSecretLength = 8192;

/** Reads models.yaml and the credentials that it names: files relative to it, variables from `env`. */
export async function loadModels(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedModels> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return {
      ok: false,
      problems: [{ path: '', line: 1, column: 1, message: `cannot be read (${codeOf(error)})` }],
    };
  }
  return parseModels(text, async (source) => {
    if ('file' in source) return readFile(resolve(dirname(file), source.file), 'utf8');
    const value = env[source.env];
    if (value === undefined) throw new UnsetVariable();
    return value;
  });
}

/** Reads a registry: an object with `models`, a list. Every problem is reported with its place; secrets never are. */
export async function parseModels(text: string, readSecret: ReadSecret): Promise<LoadedModels> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const problems: ModelsProblem[] = [];
  const complainAt = (offset: number, path: Path, message: string) => {
    const { line, col } = lines.linePos(offset);
    problems.push({ path: pathText(path), line: Math.max(line, 1), column: Math.max(col, 1), message });
  };
  for (const error of [...document.errors, ...document.warnings]) complainAt(error.pos[0], [], error.message);
  if (problems.length > 0) return { ok: false, problems };
  const complain: Complain = (path, message) => complainAt(offsetOf(document, path), path, message);
  const parsed = modelsFile.safeParse(contentOf(document));
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code !== 'unrecognized_keys') complain(issue.path, issue.message);
      else for (const key of issue.keys) complain([...issue.path, key], 'is not known');
    }
    return { ok: false, problems };
  }
  const models: Model[] = [];
  for (const [index, entry] of parsed.data.models.entries()) {
    const credential = await readCredential(entry, ['models', index, 'credential'], readSecret, complain);
    if (entry.identity !== undefined && entry.identity.header === entry.credential?.header)
      complain(['models', index, 'identity', 'header'], "is the header of the model's own credential");
    const pathless = entry.formats.find((format) => pathlessFormats.has(format));
    if (pathless !== undefined && entry.match.paths.length === 0)
      complain(['models', index, 'match'], `paths are required for the format ${pathless}: it has none of its own`);
    models.push(toModel(entry, credential));
  }
  refuseAmbiguity(models, complain);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, models: Object.freeze(models) };
}

class UnsetVariable extends Error {
  readonly code = 'not set';
}

async function readCredential(
  { credential }: ModelEntry,
  path: Path,
  readSecret: ReadSecret,
  complain: Complain,
): Promise<Model['credential']> {
  if (credential === undefined) return undefined;
  const { header, prefix, file, env } = credential;
  const source = file === undefined ? { env: env ?? '' } : { file };
  const where = file === undefined ? `environment variable ${env}` : `file ${file}`;
  let secret: string;
  try {
    secret = (await readSecret(source)).replace(/\r?\n$/, '');
  } catch (error) {
    complain(path, `the credential cannot be read: ${where} (${codeOf(error)})`);
    return undefined;
  }
  // A header value of printable ASCII: a line break would be a second header.
  if (!/^[\x20-\x7e]+$/.test(secret) || secret.length > maxSecretLength) {
    complain(
      path,
      `the credential must be one line of printable ASCII, ${maxSecretLength} characters at most: ${where}`,
    );
    return undefined;
  }
  return hidden(header, `${prefix}${secret}`);
}

/** A credential whose value no JSON, log line or object copy shows. */
function hidden(header: string, value: string): NonNullable<Model['credential']> {
  const credential = Object.defineProperty({ header }, 'value', { value, enumerable: false });
  return Object.freeze(credential) as NonNullable<Model['credential']>;
}

function toModel(entry: ModelEntry, credential: Model['credential']): Model {
  return Object.freeze({
    name: entry.name,
    version: entry.version,
    upstream: Object.freeze(entry.upstream),
    formats: Object.freeze([...new Set(entry.formats)]),
    match: Object.freeze({ ...entry.match, names: Object.freeze([...new Set([entry.name, ...entry.match.names])]) }),
    credential,
    identity: entry.identity === undefined ? undefined : Object.freeze(entry.identity),
    labels: Object.freeze(entry.labels),
    team: entry.team,
    cluster: entry.cluster ?? ownCluster(entry),
  });
}

const ownCluster = ({ name, version }: Pick<Model, 'name' | 'version'>): string =>
  `model_${name}_${version}`.replace(/[^A-Za-z0-9_.-]/g, '_');

/**
 * Two entries that one request could mean are refused, and two that would by accident share an Envoy cluster. In a mesh
 * several may share one on purpose: models of one server, or the one name that every sidecar has for its own port.
 */
function refuseAmbiguity(models: readonly Model[], complain: Complain): void {
  for (const [index, model] of models.entries()) {
    for (const other of models.slice(0, index)) {
      const path = ['models', index];
      if (other.name === model.name) complain([...path, 'name'], `there is a model "${model.name}" already`);
      else if (other.cluster === model.cluster && model.cluster === ownCluster(model))
        complain(
          [...path, 'name'],
          `"${model.name}" and "${other.name}" would share the Envoy cluster ${model.cluster}`,
        );
      else {
        const shared = model.match.names.find((name) => other.match.names.includes(name));
        const places =
          overlap(model.match.hosts, other.match.hosts, same) && overlap(model.match.paths, other.match.paths, nested);
        const nameless = model.formats.find((format) => namelessFormats.has(format) && other.formats.includes(format));
        if (shared !== undefined && places)
          complain(
            [...path, 'match'],
            `"${shared}" could also mean "${other.name}": give them different names, hosts or paths`,
          );
        else if (nameless !== undefined && places && !(inMesh(model) && inMesh(other)))
          complain(
            [...path, 'match'],
            `a request of the format ${nameless} could also mean "${other.name}": give them different hosts or paths`,
          );
      }
    }
  }
}

/** Its entry names the cluster, so that a mesh's route may name the model (`sallyport.model`): what is nameless is told apart by it. */
const inMesh = (model: Model): boolean => model.cluster !== ownCluster(model);

function overlap(a: readonly string[], b: readonly string[], touch: (x: string, y: string) => boolean): boolean {
  return a.length === 0 || b.length === 0 || a.some((x) => b.some((y) => touch(x, y)));
}

const same = (x: string, y: string) => x === y;
const nested = (x: string, y: string) => isBelow(x, y) || isBelow(y, x);

/** Whether a path is a prefix or below it, by whole segments. */
export function isBelow(path: string, prefix: string): boolean {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  return path === bare || path.startsWith(`${bare}/`);
}

function contentOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    return undefined;
  }
}

/** Offset of the value at a path, or of the nearest one above it. */
function offsetOf(document: Document.Parsed, path: Path): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = (length === 0 ? document.contents : document.getIn(path.slice(0, length), true)) as
      | Node
      | null
      | undefined;
    if (typeof node === 'object' && node?.range) return node.range[0];
  }
  return 0;
}

function pathText(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'error';
}
