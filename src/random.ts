/**
 * Randomness as a function, not a state. A `Key` names a stream; every number is a pure function of
 * (key, index), so a run that was killed and resumed draws what it would have drawn, and blocks draw
 * the same whether they train together or on machines of their own.
 */
export interface Key {
  readonly hi: number;
  readonly lo: number;
}
