// How much of its time this process did not get, because the machine has other work: by so much a time limit of a test may be exceeded that
// is no fault of what is tested.
//
//     const stall = new Stall();
//     const took = await …;
//     assert.ok(took < 1000 + stall.end());

const TICK_MS = 10;
const USUAL_MS = 5; // that a timer is late on an idle machine

export class Stall {
    constructor() {
        this.ms = 0;
        this.due = performance.now() + TICK_MS;
        this.timer = setInterval(() => this.#count(), TICK_MS);
    }

    #count() {
        const late = performance.now() - this.due;
        if (late > USUAL_MS) this.ms += late;
        this.due = performance.now() + TICK_MS;
    }

    end() {
        this.#count();
        clearInterval(this.timer);
        return this.ms;
    }
}
