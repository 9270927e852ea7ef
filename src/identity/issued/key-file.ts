/** The file that holds the private halves of the keys which sign the gateway's tokens. One gateway process owns it. */
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { z } from 'zod';

/** A base64url coordinate or scalar of P-256 (RFC 7518 §6.2.1). */
const scalar = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
export const publicJwk = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: scalar,
  y: scalar,
});
export type PublicJwk = Readonly<z.output<typeof publicJwk>>;

const keyFile = z.strictObject({
  version: z.literal(1),
  keys: z
    .array(
      z.strictObject({
        /** Epoch milliseconds from which on it signs, until the next one does. */
        signsFromMs: z.int().min(0),
        jwk: publicJwk.extend({ d: scalar }),
      }),
    )
    .min(1)
    .max(16),
});

/** A key as it is kept: what it is called is its RFC 7638 thumbprint. */
export interface StoredKey {
  readonly kid: string;
  readonly signsFromMs: number;
  readonly jwk: PublicJwk & { readonly d: string };
}

/** The file cannot be used. The gateway refuses to start; the message is for the operator. */
export class IssuedKeysRefused extends Error {
  override readonly name = 'IssuedKeysRefused';
  readonly code = 'issued_keys_refused';
}

export async function makeKey(signsFromMs: number): Promise<StoredKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { x = '', y = '', d = '' } = await exportJWK(privateKey);
  const jwk = { kty: 'EC', crv: 'P-256', x, y, d } as const;
  return { kid: await calculateJwkThumbprint(jwk), signsFromMs, jwk };
}

export const publicHalf = ({ jwk: { kty, crv, x, y } }: StoredKey): PublicJwk => ({ kty, crv, x, y });

/** The keys, oldest first; undefined where there is no file yet. Throws IssuedKeysRefused. */
export async function readKeyFile(path: string): Promise<StoredKey[] | undefined> {
  const refuse = (what: string, cause?: unknown) =>
    new IssuedKeysRefused(
      `${path}: ${what}. It holds the keys that sign the gateway's tokens. Correct it, or remove it: then new keys are made, and tokens that were signed with the old ones are refused.`,
      { cause },
    );
  let text: string;
  try {
    const file = await open(path, 'r');
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0) throw refuse(`its mode is ${(mode & 0o777).toString(8)}, but must be 600`);
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof IssuedKeysRefused) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw refuse(`it cannot be read (${code})`, error);
  }
  const parsed = keyFile.safeParse(parseJson(text));
  if (!parsed.success) throw refuse('it is damaged');
  const keys = await Promise.all(
    parsed.data.keys.map(async ({ signsFromMs, jwk }) => ({
      kid: await calculateJwkThumbprint(jwk),
      signsFromMs,
      jwk,
    })),
  );
  return keys.toSorted((a, b) => a.signsFromMs - b.signsFromMs);
}

/** Replaces the file so that a reader, or a restart after a power cut, finds the old keys or the new ones, whole. */
export async function writeKeyFile(path: string, keys: readonly StoredKey[]): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(
      `${JSON.stringify({ version: 1, keys: keys.map(({ signsFromMs, jwk }) => ({ signsFromMs, jwk })) })}\n`,
    );
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const dir = await open(folder, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
