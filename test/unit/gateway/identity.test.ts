import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../src/config.ts';
import { openIdentity } from '../../../src/gateway/identity.ts';
import { GatewayRefused } from '../../../src/gateway/refused.ts';
import { createLog } from '../../../src/observe/log.ts';
import { openState } from '../../../src/state/open.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-identity-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Opens what `identity` asks for, and says why it was refused. */
async function refusal(identity: object): Promise<unknown> {
  const file = join(dir, 'sallyport.yaml');
  writeFileSync(file, stringify({ stateDir: '.', identity }));
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const state = await openState(loaded.config.state, { environment: {}, now: Date.now });
  try {
    const opened = await openIdentity(loaded.config, {
      ...{ state, environment: {}, models: [], now: Date.now },
      log: createLog({ level: 'error', target: { write: () => true } }),
    });
    await opened.close();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await state.close();
  }
}

describe('files of a SAML provider that cannot be used stop the start, with their place and the reason', () => {
  const provider = { name: 's', entityId: 'https://idp.test' };
  const keys = { decryptionKeyFile: 'nokey.pem', decryptionCertFile: 'nocert.pem' };
  it.each<[object, RegExp]>([
    [
      { idp: { metadataFile: 'none.xml' } },
      /sallyport\.yaml: identity\.saml\[0\]\.idp\.metadataFile: .*none\.xml: the metadata file cannot be read \(ENOENT\)\.$/,
    ],
    [{ idp: { metadataFile: 'bad.xml' } }, /identity\.saml\[0\]\.idp\.metadataFile: .*bad\.xml: the metadata /],
    [
      { idp: { metadataUrl: 'https://idp.test/metadata' }, ...keys },
      /identity\.saml\[0\]\.decryptionKeyFile: .*nokey\.pem: it cannot be read \(ENOENT\)\.$/,
    ],
  ])('%j', async (more, message) => {
    writeFileSync(join(dir, 'bad.xml'), '<EntityDescriptor/>');
    const error = await refusal({ saml: [{ ...provider, ...more }] });
    expect(error).toBeInstanceOf(GatewayRefused);
    expect((error as Error).message).toMatch(message);
  });
});

it('mTLS peers alone are enough to start', async () => {
  expect(await refusal({ peers: { allow: ['spiffe://cluster.local/ns/batch/sa/*'] } })).toBeUndefined();
});
