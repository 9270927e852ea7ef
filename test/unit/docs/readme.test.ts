import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { detectors, selectDetectors } from '../../../src/detect/registry.ts';
import { errors } from '../../../src/exchange/errors.ts';
import { loadParts, type Parts } from '../../../src/gateway/parts.ts';
import { parseModels } from '../../../src/models/load.ts';
import { createLog } from '../../../src/observe/log.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { caller, input } from '../policy/fixtures.ts';
import { blocks, read } from './markdown.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-readme-'));
let parts: Parts;

/** The three files of "In front of your own model", as a reader would write them. */
beforeAll(async () => {
  for (const { file, text } of blocks('README.md')) {
    if (file === undefined) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  const loaded = loadConfig(join(folder, 'sallyport.yaml'), {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  mkdirSync(loaded.config.stateDir);
  const log = createLog({ level: 'silent', target: process.stderr });
  parts = await loadParts(loaded.config, {}, log, createMetrics({ version: '', node: '' }));
});
afterAll(async () => {
  await parts.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the README's own model", () => {
  test('is registered under the name that callers write', () => {
    expect(parts.models.list().map(({ name, upstream }) => [name, upstream])).toEqual([
      ['llama3.1:8b', { host: '127.0.0.1', port: 11_434, tls: false }],
    ]);
  });

  test('is open to staff, masked for all but those who are cleared, and closed to everybody else', () => {
    const [model] = parts.models.list();
    const decide = (...groups: string[]) =>
      parts.policies.current.decide(input({ caller: caller({ groups }), model: model! }));
    const masked = selectDetectors(['pii', 'secrets']).map(({ id }) => id);
    expect(decide('staff')).toMatchObject({ verdict: 'allow', maskResponse: masked.toSorted() });
    expect(decide('staff', 'pii-cleared')).toMatchObject({ verdict: 'allow', maskResponse: [] });
    expect(decide('pii-cleared')).toMatchObject({ verdict: 'deny', by: undefined });
  });

  test('can have a credential of its own, as the comment says', async () => {
    const file = blocks('README.md').find((block) => block.file === 'policies/models.yaml')!;
    const [, credential] = /^ {4}# (credential: \S+ \S+)/m.exec(file.text)!;
    const loaded = await parseModels(`${file.text}    ${credential}\n`, async () => 'secret');
    expect(loaded).toMatchObject({ ok: true, models: [{ credential: { header: 'authorization' } }] });
  });
});

test('SECURITY.md and the README name only errors and detectors that there are', () => {
  const known = new Set([...Object.keys(errors), ...detectors.map(({ id }) => id)]);
  const others = /^(not_dispatched|response_refused|gate_failed|jwks_uri|ext_authz|ext_proc|policy_revision)$/;
  for (const page of ['README.md', 'SECURITY.md', 'docs/architecture.md'])
    for (const [, code = ''] of read(page).matchAll(/`([a-z]+(?:_[a-z]+)+)`/g))
      if (!others.test(code)) expect([...known], `${code} in ${page}`).toContain(code);
});
