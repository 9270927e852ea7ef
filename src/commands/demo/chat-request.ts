import { z } from 'zod';

/** The part of OpenAI's chat completion request that the script looks at. */
export const chatRequestSchema = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })).min(1),
  stream: z.boolean().optional(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  n: z.number().int().min(1).max(16).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal('function'),
        function: z.object({ name: z.string(), parameters: z.unknown().optional() }),
      }),
    )
    .optional(),
  tool_choice: z.unknown().optional(),
});

export type ChatRequest = z.output<typeof chatRequestSchema>;
