import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { groupsDefaults } from '../../../src/identity/config/groups.ts';
import { presetNames, presets } from '../../../src/identity/config/presets.ts';
import { parseModels } from '../../../src/models/load.ts';
import { type Block, blocks, codes, table } from './markdown.ts';

const examples = blocks('docs/identity.md').filter(({ language }) => language === 'yaml');
const indented = (text: string, spaces: number): string => text.replace(/^(?=.)/gm, ' '.repeat(spaces));

const provider = '{name: p, issuer: "https://id.example.com", audience: a, algorithms: [ES256]';
const samlProvider = '{name: s, entityId: "https://idp.example.com", idp: {metadataFile: idp.xml}';
/** A block style entry of a list, from one in flow style. */
const entry = (flow: string): string => flow.replace(/^\{/, '- ').replaceAll(/, (?=[a-z]+: )/gi, '\n  ');

/** The whole config that an example is part of; undefined: it is none of ours. */
function configAround({ text }: Block): string | undefined {
  if (/^identity:$/m.test(text))
    return /^ {2}(providers|saml|peers):/m.test(text) ? text : `${text}  providers: [${provider}}]\n`;
  if (/^- name:/m.test(text)) {
    const list = /^ {2}entityId:/m.test(text) ? 'saml' : 'providers';
    return `identity:\n  ${list}:\n${indented(text, 4)}`;
  }
  if (/^groups:/m.test(text))
    return `identity:\n  providers:\n${indented(`${entry(provider)}\n`, 4)}${indented(text, 6)}`;
  if (/^ {2}decryptionKeyFile:/m.test(text))
    return `identity:\n  saml:\n${indented(`${entry(samlProvider)}\n`, 4)}${indented(text, 4)}`;
  return undefined;
}

const configs = examples.flatMap((block) => {
  const text = configAround(block);
  return text === undefined ? [] : [{ name: block.file ?? block.text.split('\n').slice(0, 3).join(' '), text }];
});

describe('docs/identity.md', () => {
  test('shows a config for each preset', () => {
    const named = configs.flatMap(({ text }) => [...text.matchAll(/preset: (\S+)/g)].map(([, name]) => name));
    expect(new Set([...named, 'generic'])).toEqual(new Set(presetNames));
    expect(named).toHaveLength(presetNames.length - 1);
    expect(examples.map(({ file }) => file)).toContain('generic.yaml');
  });

  test('shows nothing else in YAML but a registry of models, a pod and a workflow', () => {
    const others = examples.filter((block) => configAround(block) === undefined);
    expect(others.map(({ file }) => file)).toEqual(['models.yaml', 'pod.yaml', 'workflow.yaml']);
  });

  test.each(configs)('$name is taken as it stands', ({ text }) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-docs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'sallyport.yaml');
    writeFileSync(file, text);
    const loaded = loadConfig(file, {});
    expect(loaded.ok ? [] : loaded.problems).toEqual([]);
  });

  test('tells a model who calls as the registry understands it', async () => {
    const { text } = examples.find(({ file }) => file === 'models.yaml')!;
    const loaded = await parseModels(text, () => Promise.reject(new Error('there are no secrets')));
    expect(loaded).toMatchObject({ ok: true, models: [{ identity: { audience: 'https://llama.example' } }] });
  });

  const rows = table('docs/identity.md', '## OpenID providers');
  test('has each preset in its table', () => {
    expect(rows.map(([name = '']) => codes(name)[0])).toEqual([...presetNames]);
  });

  test.each(rows.map((row) => [codes(row[0] ?? '')[0] as keyof typeof presets, row] as const))(
    'says of the preset %s what it sets',
    (name, [, issuer = '', algorithms, tokenType, subject, email, kind, claims = '', groups = '']) => {
      const preset = presets[name];
      expect([codes(issuer)[0], algorithms]).toEqual([preset.issuer, preset.algorithms?.join(', ') ?? '–']);
      expect([tokenType, subject, email, kind]).toEqual([
        `\`${preset.tokenType ?? 'at+jwt'}\``,
        `\`${String(preset.subjectClaim ?? 'sub')}\``,
        `\`${String(preset.emailClaim ?? 'email')}\``,
        `\`${preset.kind ?? 'auto'}\``,
      ]);
      const required = Object.entries(preset.requiredClaims ?? {});
      expect(codes(claims)).toEqual([
        ...required.map(([claim, wanted]) => (wanted === true ? claim : `${claim}: "${wanted}"`)),
        ...(preset.mustName?.claims ?? []),
      ]);
      expect(claims.includes('as you name it')).toBe(preset.mustName !== undefined);
      const { source, claims: paths, serviceAccountGroups } = { ...groupsDefaults, ...preset.groups };
      expect(codes(groups)).toEqual([...paths]);
      const elsewhere = { claim: undefined, userinfo: 'userinfo', entra: 'Microsoft Graph', google: 'Google' }[source];
      const made = serviceAccountGroups ? 'of the service account’s name' : undefined;
      expect(groups.split('; ')[1]?.replace("'", '’')).toBe(elsewhere ?? made);
    },
  );
});
