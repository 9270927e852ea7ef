import { expect, test } from 'vitest';
import { policyCommand } from '../../../src/commands/policy.ts';
import { casesFile } from '../../../src/policy/cases/schema.ts';
import { readYaml } from '../../../src/strict-yaml.ts';
import { run } from '../commands/run.ts';
import { blocks, codes, read, table } from './markdown.ts';

test('docs/policy-tools.md has every command, and no other', async () => {
  const written = table('docs/policy-tools.md', '## Commands').map(
    ([command = '']) => /^sallyport policy (\w+)/.exec(codes(command)[0] ?? '')?.[1],
  );
  const { stdout } = await run([policyCommand()], ['policy', '--help']);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== 'help');
  expect(written.toSorted()).toEqual(commands.toSorted());
});

test("docs/policy-tools.md's example of cases can be read", () => {
  const [example] = blocks('docs/policy-tools.md');
  const parsed = readYaml(example?.text ?? '', casesFile);
  expect(parsed).toMatchObject({ ok: true, value: { cases: [{}, {}] } });
});

test('docs/policy-tools.md names everything that a case gives and expects', () => {
  const text = read('docs/policy-tools.md');
  const one = casesFile.shape.cases.element.shape;
  const gives = Object.keys(one).filter((key) => !['name', 'at', 'expect'].includes(key));
  const expects = [
    'verdict',
    'by',
    'message',
    'approvers',
    'rules',
    'includes',
    'excludes',
    'mask',
    'maskRequest',
    'operators',
    'operatorsRequest',
    'limits',
    'stop',
    'refused',
  ];
  expect([...gives, ...expects].filter((key) => !text.includes(`\`${key}\``))).toEqual([]);
});
