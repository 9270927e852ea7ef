import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config.ts';
import { readSecrets, secretReader } from '../../../src/gateway/secrets.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));
afterAll(() => rmSync(dir, { recursive: true }));

function configWith(clientSecret: object) {
  const file = join(dir, 'sallyport.yaml');
  const provider = { name: 'corp', issuer: 'https://idp.example', audience: 'a', algorithms: ['ES256'] };
  writeFileSync(
    file,
    stringify({ identity: { providers: [{ ...provider, login: { clientId: 'cli', clientSecret } }] } }),
  );
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

describe('secrets of providers', () => {
  it('come from a file, without its line end, or from the environment', async () => {
    writeFileSync(join(dir, 'secret'), 's3cret\r\n');
    const byFile = await readSecrets(configWith({ file: 'secret' }), secretReader({}));
    const byEnv = await readSecrets(configWith({ env: 'LOGIN' }), secretReader({ LOGIN: 'other' }));
    expect([byFile.get('corp'), byEnv.get('corp')]).toEqual(['s3cret', 'other']);
  });

  it.each([
    [{ file: 'missing' }, /identity\.providers\[0\]\.login\.clientSecret: .*missing cannot be read \(ENOENT\)/],
    [{ file: 'empty' }, /identity\.providers\[0\]\.login\.clientSecret: .*empty is empty/],
    [{ env: 'UNSET' }, /identity\.providers\[0\]\.login\.clientSecret: the environment variable UNSET is not set/],
  ])('that cannot be read stop the start, with their place: %j', async (source, message) => {
    writeFileSync(join(dir, 'empty'), '\n');
    await expect(readSecrets(configWith(source), secretReader({}))).rejects.toThrow(message);
  });
});
