// A plan's commands in several submissions, so that a page draws its frames between them.

/** Commands of a slice before anything is known about their time. */
const firstSlice = 64;
/** A plan that goes in one submission is timed in so many runs, and then no more. */
const timedRuns = 3;
/** Slices on the device at once: while one is carried out the next one is there. */
export const slicesUnderWay = 2;

/** Ends of slices, corrected by what they take. */
export class Slices {
  readonly #time: number;
  /** Each slice begins where the one before ends; the last end is the number of commands. */
  ends: readonly number[];
  #runs = 0;

  /** `time`: milliseconds that one slice may keep the device; Infinity: all goes at once. */
  constructor(commands: number, time: number) {
    this.#time = time;
    const step = time === Infinity ? commands : firstSlice;
    const ends = [];
    for (let end = step; end < commands; end += step) ends.push(end);
    this.ends = [...ends, commands];
  }

  /** Is a run to be timed? */
  get timed(): boolean {
    return this.#time !== Infinity && (this.ends.length > 1 || this.#runs < timedRuns);
  }

  /** `times`: milliseconds that the slices of a run, cut as `ends` has it, kept the device. */
  adjust(times: readonly number[]): void {
    const next: number[] = [];
    let begin = 0;
    let last = Infinity;
    this.ends.forEach((end, i) => {
      const time = times[i]!;
      const parts = Math.min(end - begin, Math.ceil(time / this.#time));
      if (parts > 1) {
        for (let part = 1; part <= parts; part++) {
          next.push(begin + Math.round(((end - begin) * part) / parts));
        }
        last = Infinity;
      } else if (last + time < this.#time / 2) {
        next[next.length - 1] = end;
        last += time;
      } else {
        next.push(end);
        last = time;
      }
      begin = end;
    });
    this.ends = next;
    this.#runs++;
  }
}
