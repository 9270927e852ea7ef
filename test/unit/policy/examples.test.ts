import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { policyCommand } from '../../../src/commands/policy.ts';
import { run } from '../commands/run.ts';

const root = join(import.meta.dirname, '../../..');
const config = ['--config', join(root, 'sallyport.yaml')];

describe('the example policies', () => {
  test('do what their cases say, and each enforced rule matches in one', async () => {
    const { code, stdout } = await run([policyCommand()], ['policy', 'test', ...config, '--json']);
    const { cases, coverage } = JSON.parse(stdout);
    const failed = cases.filter(({ differences }: { differences: readonly unknown[] }) => differences.length > 0);
    expect(failed).toEqual([]);
    expect(code).toBe(0);
    expect(cases.length).toBeGreaterThan(25);
    // It would take a prompt of 32,000 characters.
    expect(coverage.untried).toEqual(['trial/no-very-long-prompts']);
  });

  test('have no rule that can never matter, but for models that the demo does not have', async () => {
    const { stdout } = await run([policyCommand()], ['policy', 'check', ...config, '--json']);
    const { problems, warnings } = JSON.parse(stdout);
    expect(problems).toEqual([]);
    const about = warnings.map(({ kind, about: what }: { kind: string; about: string }) => `${kind} ${what}`);
    expect(about).toEqual(['unreachable hours/high-risk-in-office-hours', 'untested trial/no-very-long-prompts']);
  });
});
