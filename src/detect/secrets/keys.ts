import type { Detector } from '../detector.ts';
import { gitleaks, opener, token } from './make.ts';
import { isRandom } from './values.ts';

/** Keys and tokens of vaults. */
export const keys: readonly Detector[] = [
  token(
    '1password_secret_key',
    String.raw`\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}\b`,
    '1Password secret keys.',
    ['A3-K5Y8SA-TWE39IKV29M-VFGWM-CWK7M-G6NU6', 'A3-AB1MMT-KG4V9M-VML6J-6GHIH-HPXU0-4M1JQ'],
    `1Password docs, "About your Secret Key"; ${gitleaks}`,
  ),
  opener(
    '1password_service_account_token',
    String.raw`\bops_eyJ[A-Za-z0-9+\/]{100}`,
    { body: String.raw`[\w+\/=\-]` },
    '1Password service account tokens.',
    [
      'ops_eyJzaWduSW5BZGRyZXNzA2yZqpayqVUsZRRfCaAVmTpJ4LRzyIlFAs6AcBK55zs2DxoM87iFEKaIDOD2anjkFWEPtcd0ufw4giMiomIrTfa0FxO55zS01pQ9oN0DWqFZ7ZdZ6nwRI3ZJk4FdaOcf9LoCBMh474GY2srFDhp1LTTyK2LRtH8VbNknQDc2pu8LDZKpPxNL4F54uY5AuwRFkYOPt8ZQyG9MhpV8PUbxDwhb2gBOiI3iX7qKANaqGjzuucfmoFSy9Wvjfn6HRRZuqnvi',
    ],
    `1Password docs, "Service accounts"; ${gitleaks}`,
  ),
  opener(
    'age_secret_key',
    String.raw`\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}`,
    { body: '[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]' },
    'age secret keys.',
    ['AGE-SECRET-KEY-14HCEA04JD7ZE5JZADAEWWTT46JYSYQA232D6S2FAYUCTQC8VG5VV7KZK88'],
    `age specification, C2SP; ${gitleaks}`,
  ),
  token(
    'vault_batch_token',
    String.raw`\bhvb\.[\w\-]{130,300}`,
    'HashiCorp Vault batch tokens.',
    [
      'hvb.W8Sig5Q2DSwYZ0D-9GahAG7Ioj15PXotTYtpAOq3gHKZbS5tCDNn2CC4QMyVPLmhNno-qKOp4iHHdEfd9oFlD3cWXV-J7uj0Fy4ukMOctrkeBqzKTidebrZnS85PbubXjf1qJ8D6TbBIxlgbjoArWt',
    ],
    `Vault docs, "Tokens"; ${gitleaks}`,
  ),
  token(
    'vault_service_token',
    String.raw`\bhvs\.(?:[\w\-]{90,120}|[A-Za-z0-9]{24})`,
    'HashiCorp Vault service tokens.',
    [
      'hvs.gHb1Sl82c95dyPF9b4JoMIGoC_gQMt2Li2y52j16pVwXSqg54WJLBypVVZbUozCSeqG_b6-Hpi0RCDD_tL_UCUGr3vUznbx',
      'hvs.3TJlrCWBDaXKUpI43op4viZN',
    ],
    `Vault docs, "Tokens"; ${gitleaks}`,
    { also: [{ pattern: String.raw`\bs\.[A-Za-z0-9]{24}\b`, validate: isRandom }] },
  ),
];
