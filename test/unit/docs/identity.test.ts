import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { presetNames, presets } from '../../../src/identity/config/presets.ts';
import { blocks, codes, table } from './markdown.ts';

const configs = blocks('docs/identity.md').filter(({ file, text }) => file !== undefined && /^identity:$/m.test(text));

describe('docs/identity.md', () => {
  test('shows a config for each preset', () => {
    const named = configs.flatMap(({ text }) => [...text.matchAll(/preset: (\S+)/g)].map(([, name]) => name));
    expect(new Set([...named, 'generic'])).toEqual(new Set(presetNames));
    expect(configs.map(({ file }) => file)).toContain('generic.yaml');
  });

  test.each(configs.map(({ file, text }) => [file!, text]))('%s is taken as it stands', (name, text) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-docs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, name), text);
    const loaded = loadConfig(join(folder, name), {});
    expect(loaded.ok ? [] : loaded.problems).toEqual([]);
  });

  test('says of each preset what it sets', () => {
    const rows = table('docs/identity.md', '## OpenID providers');
    expect(rows.map(([name = '']) => codes(name)[0])).toEqual([...presetNames]);
    for (const [name = '', issuer = '', algorithms, tokenType = '', subject = '', , kind = ''] of rows) {
      const preset = presets[codes(name)[0] as keyof typeof presets];
      expect([codes(issuer)[0], algorithms]).toEqual([preset.issuer, preset.algorithms?.join(', ') ?? '–']);
      expect([codes(tokenType)[0], codes(subject)[0], codes(kind)[0]]).toEqual([
        preset.tokenType ?? 'at+jwt',
        preset.subjectClaim ?? 'sub',
        preset.kind ?? 'auto',
      ]);
    }
  });
});
