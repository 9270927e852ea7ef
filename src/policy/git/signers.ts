/**
 * Who may sign: the lines of OpenSSH's allowed_signers (ssh-keygen(1), ALLOWED SIGNERS), and armored OpenPGP public keys. Read
 * strictly: a line that is not understood refuses the file, as one that is passed over might have been a limit.
 */
import { GitProblem } from './problem.ts';

export interface SshSigner {
  /** As written: one or more patterns. Who signed is known by it. */
  readonly principals: string;
  /** Kind of the key, such as `ssh-ed25519`, and the key as in its file (RFC 4253 §6.6). */
  readonly kind: string;
  readonly key: Buffer;
  /** Namespaces that the key may sign in; undefined: any. */
  readonly namespaces: readonly string[] | undefined;
  /** Epoch seconds. */
  readonly validAfter: number;
  readonly validBefore: number;
}

export interface Signers {
  readonly ssh: readonly SshSigner[];
  /** Armored blocks, each with one or more keys. */
  readonly openpgp: readonly string[];
}

/** Throws GitProblem with the line. */
export function readSigners(text: string): Signers {
  const openpgp: string[] = [];
  // Line ends stay, so that lines are counted as they are in the file.
  const rest = text.replaceAll(
    /^-----BEGIN PGP PUBLIC KEY BLOCK-----$[\s\S]*?^-----END PGP PUBLIC KEY BLOCK-----\s*?$/gm,
    (block) => {
      openpgp.push(block);
      return block.replaceAll(/[^\n]/g, '');
    },
  );
  const ssh = rest.split('\n').flatMap((line, index) => {
    const trimmed = line.trim();
    return trimmed === '' || trimmed.startsWith('#') ? [] : [readLine(trimmed, index + 1)];
  });
  return { ssh, openpgp };
}

const kinds = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/;

function readLine(line: string, number: number): SshSigner {
  const wrong = (what: string) => new GitProblem(`line ${number} of allowedSigners ${what}`);
  const words = split(line);
  if (words === undefined) throw wrong('has a quote without an end');
  const [principals = '', ...more] = words;
  const hasOptions = more[0] !== undefined && !isKeyKind(more[0]);
  const [kind = '', key = ''] = hasOptions ? more.slice(1) : more;
  if (!kinds.test(kind)) throw wrong(`has no key that is read here (ssh-ed25519, ecdsa-sha2-nistp*, ssh-rsa)`);
  const bytes = Buffer.from(key, 'base64');
  if (key === '' || bytes.toString('base64').replace(/=+$/, '') !== key.replace(/=+$/, ''))
    throw wrong('has no key in base64');
  const options = {
    namespaces: undefined as readonly string[] | undefined,
    validAfter: 0,
    validBefore: Number.POSITIVE_INFINITY,
  };
  for (const option of hasOptions ? optionsOf(more[0] ?? '') : []) {
    const [name = '', value = ''] = [
      option.replace(/=.*$/s, '').toLowerCase(),
      option.replace(/^[^=]*=?/, '').replaceAll('"', ''),
    ];
    if (name === 'namespaces') options.namespaces = value.split(',');
    else if (name === 'valid-after') options.validAfter = timeOf(value) ?? fail(wrong('has no time in valid-after'));
    else if (name === 'valid-before') options.validBefore = timeOf(value) ?? fail(wrong('has no time in valid-before'));
    else throw wrong(`has the option ${JSON.stringify(name.slice(0, 40))}, which is not known here`);
  }
  return { principals, kind, key: bytes, ...options };
}

const isKeyKind = (word: string): boolean => /^(ssh|ecdsa|sk-)[\w@.-]*-/.test(word) && !word.includes('=');

function fail(error: GitProblem): never {
  throw error;
}

/** Words apart by white space; quotes hold it together. undefined: a quote has no end. */
function split(line: string): string[] | undefined {
  if ((line.match(/"/g)?.length ?? 0) % 2 === 1) return undefined;
  return (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((word, index) =>
    index === 0 ? word.replaceAll('"', '') : word,
  );
}

const optionsOf = (text: string): string[] => text.match(/(?:[^,"]|"[^"]*")+/g) ?? [];

/** `YYYYMMDD`, `YYYYMMDDHHMM`, `YYYYMMDDHHMMSS`, with Z or without; read as UTC. Epoch seconds. */
function timeOf(text: string): number | undefined {
  const found = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?Z?$/.exec(text);
  if (found === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1)
    .map((part) => Number(part ?? 0));
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const isDate = at.getUTCMonth() === month - 1 && at.getUTCDate() === day && at.getUTCHours() === hour;
  return isDate ? at.getTime() / 1000 : undefined;
}
