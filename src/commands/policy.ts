import type { OpenArchive } from './admin-client.ts';
import type { AddCommand } from './cli.ts';
import { addBacktest } from './policy/backtest.ts';
import { addCheck } from './policy/check.ts';
import { addDiff } from './policy/diff.ts';
import { addEval } from './policy/eval.ts';
import { addTest } from './policy/test.ts';
import { addPush } from './policy-push.ts';

/** `sallyport policy check|test|eval|backtest|diff|push`. */
export const policyCommand =
  (open?: OpenArchive): AddCommand =>
  (program) => {
    const policy = program.command.command('policy').description('check, try and push the policies');
    addCheck(policy, program);
    addTest(policy, program);
    addEval(policy, program);
    addBacktest(policy, program, open);
    addDiff(policy, program);
    addPush(policy, program);
  };
