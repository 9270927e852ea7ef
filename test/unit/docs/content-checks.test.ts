import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { paced } from '../../../src/exchange/pace.ts';
import { loadFilters } from '../../../src/guard/filters.ts';
import { createGuards } from '../../../src/guard/guards.ts';
import { hazards } from '../../../src/guard/kinds.ts';
import { blocks, read } from './markdown.ts';

const page = 'docs/content-checks.md';
const examples = blocks(page).filter(({ language }) => language === 'yaml');
const provider =
  'identity:\n  providers:\n    - {name: p, issuer: "https://id.example.com", audience: a, algorithms: [ES256]}\n';

function load() {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(file, provider + examples.map(({ text }) => text).join(''));
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return { folder, config: loaded.config };
}

describe('docs/content-checks.md', () => {
  test('shows filters that load, with files beside the config', async () => {
    const { folder, config } = load();
    const loaded = await loadFilters(config.filters, {
      readFile: (path) =>
        path === join(folder, 'filters/weapons.txt')
          ? Promise.resolve(Buffer.from('# weapons\npipe bomb\n'))
          : Promise.reject(new Error(path)),
      run: paced,
    });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const counts = await paced(loaded.filters.count('Pipe-bomb! BB-1234 on myACMEcloud: Operation  Nightfall'));
    expect(Object.fromEntries(counts)).toEqual({ weapons: 1, projects: 2, brands: 1 });
  });

  test('shows guards that can be made', () => {
    const { folder, config } = load();
    expect(config.guards.map(({ name, kind, onFailure }) => [name, kind, onFailure])).toEqual([
      ['moderation', 'moderation', 'deny'],
      ['llama-guard', 'chat', 'deny'],
      ['house-rules', 'webhook', 'allow'],
    ]);
    const file = config.guards[2]!.credential!.file;
    expect(file).toBe(join(folder, 'secrets/checks'));
    const guards = createGuards(config.guards.slice(0, 2), { env: { GUARD_KEY: 'k' } });
    onTestFinished(() => guards.close());
    expect([...guards.byName.keys()]).toEqual(['moderation', 'llama-guard']);
    expect(() => createGuards(config.guards, { env: { GUARD_KEY: 'k' } })).toThrow(/secrets\/checks cannot be read/);
  });

  test('names each hazard', () => {
    const text = read(page);
    for (const [code, name] of hazards) expect(text).toContain(`\`${name}\` (${code})`);
  });
});
