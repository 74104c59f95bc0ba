import { it } from 'vitest';
import { expectMatrixToHold } from './matrix-expectation.ts';

it(
  'a rotator that is killed after any call that leaves its process keeps I1 to I7',
  () => expectMatrixToHold('after'),
  2_400_000,
);
