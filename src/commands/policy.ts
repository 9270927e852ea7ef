import type { AddCommand } from './cli.ts';
import { addDiff } from './policy/diff.ts';
import { addEval } from './policy/eval.ts';
import { addTest } from './policy/test.ts';

/** `sallyport policy check|test|eval|backtest|diff|push`. */
export const policyCommand: AddCommand = (program) => {
  const policy = program.command.command('policy').description('check, try and push the policies');
  addTest(policy, program);
  addEval(policy, program);
  addDiff(policy, program);
};
