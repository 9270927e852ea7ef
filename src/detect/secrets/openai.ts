import type { Detector } from '../detector.ts';
import { gitleaks, opener } from './make.ts';

/** Keys of OpenAI. */
export const openai: readonly Detector[] = [
  opener(
    'openai_api_key',
    [
      String.raw`\bsk-(?:proj|svcacct|admin|None)-(?:[A-WYZa-wyz0-9_\-][\w\-]|\w[A-WYZa-wyz0-9_\-])[\w\-]{18}`,
      String.raw`\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{12}`,
      String.raw`\bsess-[A-Za-z0-9]{40}`,
    ].join('|'),
    { body: String.raw`[\w\-]` },
    'OpenAI API keys.',
    [`sk-proj-${'abcdefghij0123456789'.repeat(3)}T3BlbkFJ${'abcdefghij'.repeat(6)}`],
    gitleaks,
  ),
];
