import type { Detector } from './detector.ts';
import { isSsn } from './validators.ts';

/** Numbers that states give to people. */
export const national: readonly Detector[] = [
  {
    id: 'us_ssn',
    categories: ['pii'],
    pattern: String.raw`\b\d{3}-\d{2}-\d{4}\b|\b\d{3} \d{2} \d{4}\b|\b\d{3}\.\d{2}\.\d{4}\b`,
    validate: isSsn,
    doc: 'US social security numbers, written in groups.',
    examples: ['536-22-1234'],
    source: 'SSA POMS RM 10201.035',
  },
];
