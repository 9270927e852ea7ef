import type { Detector } from '../detector.ts';
import { central } from './central.ts';
import { euVat } from './eu-vat.ts';
import { germany } from './germany.ts';
import { germanHealth } from './germany-health.ts';
import { iberia } from './iberia.ts';
import { italy } from './italy.ts';
import { nordic } from './nordic.ts';
import { unitedKingdom } from './united-kingdom.ts';
import { western } from './western.ts';

/** Numbers that the countries of Europe give out. Where shapes are equal, what asks for more comes first. */
export const europe: readonly Detector[] = [
  ...germany,
  ...germanHealth,
  ...iberia,
  ...italy,
  ...nordic,
  ...western,
  ...central,
  ...euVat,
  ...unitedKingdom,
];
