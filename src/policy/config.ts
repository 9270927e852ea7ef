import { z } from 'zod';

/** The `policies:` section. */
export const policiesSection = z.strictObject({
  dir: z
    .string()
    .min(1)
    .default('policies')
    .describe(
      'Folder of the policies, relative to the config file. Files at its top and below `_platform/` are for all models, `<team>/` for the models of that team. Default `policies`.',
    ),
  evaluationBudget: z
    .int()
    .min(1000)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'What one evaluation of a rule may cost: an iteration is 1, 512 characters of text 1, 8 characters under `matches` 1. A rule that runs out counts as an error. Default 20000, a few milliseconds at most.',
    ),
});
