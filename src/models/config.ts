import { z } from 'zod';

/** The `models:` section. */
export const modelsSection = z.strictObject({
  file: z
    .string()
    .min(1)
    .default('policies/models.yaml')
    .describe('The registry of models, relative to the config file. Default `policies/models.yaml`.'),
});
