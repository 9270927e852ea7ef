import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { runCli } from '../../../src/commands/cli.ts';
import { decryptCommand } from '../../../src/commands/decrypt.ts';
import { makeKeyFile } from '../../../src/envoy/plan-keys.ts';
import { readMaskingKeys } from '../../../src/gateway/masking-keys.ts';
import { secretReader } from '../../../src/gateway/secrets.ts';
import { createBodies } from '../../../src/mask/bodies.ts';
import { deriveMaskingKeys } from '../../../src/mask/operators.ts';
import { project } from './run.ts';

const [old, current, other] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];

async function decrypt(text: string | undefined, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  let stdout = '';
  let stderr = '';
  const io = {
    ...(text === undefined ? {} : { stdin: Readable.from([Buffer.from(text)]) }),
    stdout: { write: (more: string) => (stdout += more) },
    stderr: { write: (more: string) => (stderr += more) },
    env,
    user: 'ann',
  };
  const code = await runCli([decryptCommand], ['decrypt', ...args], io, '1.2.3');
  return { code, stdout, stderr };
}

async function encrypted(text: string, key: Buffer): Promise<string> {
  const bodies = createBodies(['jwt'], { keys: deriveMaskingKeys(key) });
  const { delivery } = bodies.response('openai-chat', 'text', ['email_address'], {
    operators: { email_address: { type: 'encrypt' } },
  });
  const first = await delivery.push(Buffer.from(text));
  return Buffer.concat([first.bytes, (await delivery.end()).bytes]).toString();
}

test('decrypts with the key in force, and with the one before', async () => {
  const { folder, file } = project('masking: {key: {file: now.key}, previousKey: {env: OLD_KEY}}\n');
  writeFileSync(join(folder, 'now.key'), `${current.toString('base64url')}\n`);
  const env = { OLD_KEY: old.toString('base64url') };
  const text = `Write to ${await encrypted('jane@example.com', current)}, ${await encrypted('joe@example.com', old)} ü`;
  expect(await decrypt(text, ['--config', file], env)).toEqual({
    code: 0,
    stdout: 'Write to jane@example.com, joe@example.com ü',
    stderr: '',
  });
});

test('says when the key is not the one, and writes nothing', async () => {
  const { folder, file } = project();
  const text = `Write to ${await encrypted('jane@example.com', other)} `;
  const missing = await decrypt(text, ['--config', file]);
  expect(missing).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('masking.key cannot be read (ENOENT)'),
  });
  makeKeyFile(join(folder, 's', 'masking.key'));
  expect(statSync(join(folder, 's', 'masking.key')).mode & 0o777).toBe(0o600);
  const wrong = await decrypt(text, ['--config', file]);
  expect(wrong).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('One value was encrypted with another key'),
  });
  const key = join(folder, 'other.key');
  writeFileSync(key, other.toString('base64url'));
  expect(await decrypt(text, ['--key-file', key])).toMatchObject({ code: 0, stdout: 'Write to jane@example.com ' });
  writeFileSync(key, 'short');
  expect(await decrypt(text, ['--key-file', key])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is not 32 bytes'),
  });
  expect(await decrypt(undefined, ['--key-file', key])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('There is no text'),
  });
});

test('the key that is in force comes first', async () => {
  const config = { stateDir: '/nowhere', masking: { key: { env: 'A' }, previousKey: { env: 'B' } } };
  const env = { A: current.toString('base64url'), B: old.toString('base64url') };
  expect(await readMaskingKeys(config, secretReader(env))).toHaveLength(2);
  await expect(readMaskingKeys(config, secretReader({ A: env.A }))).rejects.toThrow(
    'masking.previousKey: the environment variable B is not set',
  );
});
