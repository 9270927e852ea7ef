import type { Detector } from '../detector.ts';
import { canada } from './canada.ts';
import { eastAsia } from './east-asia.ts';
import { india } from './india.ts';
import { korea } from './korea.ts';
import { latinAmerica } from './latin-america.ts';
import { middleEastAfrica } from './middle-east-africa.ts';
import { oceania } from './oceania.ts';
import { southEastAsia } from './south-east-asia.ts';
import { unitedStates } from './united-states.ts';
import { usBanks } from './us-banks.ts';

/** Numbers that states outside Europe give to people and companies. Where two are alike, the stricter is earlier. */
export const world: readonly Detector[] = [
  ...korea,
  ...eastAsia,
  ...southEastAsia,
  ...india,
  ...middleEastAfrica,
  ...latinAmerica,
  ...oceania,
  ...canada,
  ...unitedStates,
  ...usBanks,
];
