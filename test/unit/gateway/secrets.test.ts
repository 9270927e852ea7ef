import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config.ts';
import { readSecrets, secretReader } from '../../../src/gateway/secrets.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));
afterAll(() => rmSync(dir, { recursive: true }));

const configWith = (clientSecret: object) => configOf({ login: { clientId: 'cli', clientSecret } });

function configOf(more: object) {
  const file = join(dir, 'sallyport.yaml');
  const provider = { name: 'corp', issuer: 'https://idp.example', audience: 'a', algorithms: ['ES256'] };
  writeFileSync(file, stringify({ identity: { providers: [{ ...provider, ...more }] } }));
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

  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const account = {
    type: 'service_account',
    client_email: 'a@p.iam.gserviceaccount.com',
    private_key_id: 'k',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  const google = (serviceAccountFile: string) =>
    configOf({ groups: { source: 'google', google: { serviceAccountFile, adminSubject: 'admin@example.com' } } });

  it('of a Google service account are the JSON key file with its RSA key', async () => {
    writeFileSync(join(dir, 'good.json'), JSON.stringify(account));
    expect(await readSecrets(google('good.json'), secretReader({}))).toEqual(new Map());
  });

  it.each([
    ['nope.json', undefined, /nope\.json cannot be read \(ENOENT\)\.$/],
    ['text.json', 'not JSON', /text\.json: the service account file is not the JSON key file of a service account\.$/],
    ['user.json', { ...account, type: 'authorized_user' }, /user\.json: .* is not the JSON key file/],
    [
      'bad.json',
      { ...account, private_key: 's3cret' },
      /bad\.json: the service account file holds no RSA private key\.$/,
    ],
  ])('of a Google service account that cannot be used stop the start: %s', async (file, content, message) => {
    if (content !== undefined) writeFileSync(join(dir, file), JSON.stringify(content));
    const refused = readSecrets(google(file), secretReader({}));
    await expect(refused).rejects.toThrow(/identity\.providers\[0\]\.groups\.google\.serviceAccountFile: /);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.not.toThrow(/s3cret/);
  });
});
