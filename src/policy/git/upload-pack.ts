/**
 * What of git's smart HTTP protocol a reader needs (gitprotocol-http(5), gitprotocol-pack(5), version 0): the list of refs, and
 * one pack with a commit and so many of its ancestors, fetched whole into an empty repository.
 */
import { ask, type HttpOptions } from './http.ts';
import { GitProblem } from './problem.ts';

export interface Advertisement {
  /** Name → object id. */
  readonly refs: ReadonlyMap<string, string>;
  readonly capabilities: ReadonlySet<string>;
}

const maxRefsBytes = 16_777_216;

/** The refs of the repository. Throws GitProblem. */
export async function listRefs(options: HttpOptions): Promise<Advertisement> {
  const limited = { ...options, maxBytes: Math.min(options.maxBytes, maxRefsBytes) };
  const { contentType, body } = await ask(limited, '/info/refs?service=git-upload-pack');
  if (contentType !== 'application/x-git-upload-pack-advertisement')
    throw new GitProblem('this is no git repository: its server does not speak git’s smart HTTP there');
  const refs = new Map<string, string>();
  let capabilities: ReadonlySet<string> = new Set();
  for (const line of packetLines(body)) {
    if (line === undefined) continue;
    const text = line.toString('utf8').replace(/\n$/, '');
    if (text.startsWith('# service=')) continue;
    if (text.startsWith('ERR ')) throw new GitProblem(`the repository says: ${text.slice(4, 204)}`);
    const [ref = '', declared] = text.split('\0');
    if (declared !== undefined) capabilities = new Set(declared.trim().split(' '));
    const [, oid = '', name = ''] = /^([0-9a-f]{40}) (\S+)$/.exec(ref) ?? [];
    if (capabilities.has('object-format=sha256') || /^[0-9a-f]{64} /.test(ref))
      throw new GitProblem('the repository counts in SHA-256 (object-format=sha256), which is not read here');
    if (name !== '' && name !== 'capabilities^{}') refs.set(name, oid);
  }
  return { refs, capabilities };
}

/** A pack with a commit (or tag) and `depth` generations of history. Throws GitProblem. */
export async function fetchPack(
  options: HttpOptions,
  { capabilities }: Advertisement,
  wanted: { readonly oid: string; readonly depth: number },
): Promise<Buffer> {
  if (!capabilities.has('shallow')) throw new GitProblem('the repository’s server gives no shallow copies');
  const used = ['side-band-64k', 'ofs-delta'].filter((name) => capabilities.has(name));
  if (!used.includes('side-band-64k')) throw new GitProblem('the repository’s server is too old (no side-band-64k)');
  const body = Buffer.concat([
    packet(`want ${wanted.oid} ${used.join(' ')} agent=sallyport\n`),
    packet(`deepen ${wanted.depth}\n`),
    Buffer.from('0000'),
    packet('done\n'),
  ]);
  const answer = await ask(options, '/git-upload-pack', { contentType: 'application/x-git-upload-pack-request', body });
  if (answer.contentType !== 'application/x-git-upload-pack-result')
    throw new GitProblem('the repository’s server does not answer as git does');
  return packIn(answer.body);
}

/** Side band 1 of the answer; 2 is progress, 3 an error. */
function packIn(body: Buffer): Buffer {
  const pack: Buffer[] = [];
  let isBand = false;
  for (const line of packetLines(body)) {
    if (line === undefined) continue;
    const text = line.subarray(0, 256).toString('latin1');
    if (!isBand) {
      if (text.startsWith('ERR ')) throw new GitProblem(`the repository says: ${text.slice(4, 204).trim()}`);
      // After NAK comes the pack; before it, where the copy is cut off.
      if (/^(NAK|ACK )/.test(text)) isBand = true;
    } else if (line[0] === 1) pack.push(line.subarray(1));
    else if (line[0] === 3) throw new GitProblem(`the repository says: ${text.slice(1, 201).trim()}`);
  }
  if (pack.length === 0) throw new GitProblem('the repository’s server sent no pack');
  return Buffer.concat(pack);
}

/** pkt-lines (gitprotocol-common(5)); undefined: a flush. Throws GitProblem where they are cut off. */
function* packetLines(body: Buffer): Iterable<Buffer | undefined> {
  let at = 0;
  while (at < body.length) {
    const length = /^[0-9a-f]{4}$/i.test(body.toString('latin1', at, at + 4))
      ? Number.parseInt(body.toString('latin1', at, at + 4), 16)
      : -1;
    if (length < 0 || at + Math.max(length, 4) > body.length)
      throw new GitProblem('the answer of the repository’s server is cut off or is not git’s');
    if (length < 4) {
      at += 4;
      yield undefined;
    } else {
      yield body.subarray(at + 4, at + length);
      at += length;
    }
  }
}

const packet = (text: string): Buffer =>
  Buffer.from(`${(Buffer.byteLength(text) + 4).toString(16).padStart(4, '0')}${text}`);
