import type { Problem } from './problem.ts';
import { type CompiledPolicy, nameOf } from './rules.ts';

/**
 * Rules that the language can say and the gates cannot enforce yet: those on tool calls of an answer, which are not put
 * together from its events yet. On trial they may stay, and are not asked.
 */
export function unenforced(
  policies: readonly CompiledPolicy[],
): readonly { readonly about: string; readonly problem: Problem }[] {
  return policies
    .flatMap(({ rules }) => rules)
    .filter(({ phase, mode, reads }) => phase === 'response' && mode === 'enforce' && reads.toolCall)
    .map((rule) => ({
      about: nameOf(rule),
      problem: {
        ...rule.place('when'),
        message: 'rules that read toolCall are not enforced by this version; set mode: dryRun',
      },
    }));
}
