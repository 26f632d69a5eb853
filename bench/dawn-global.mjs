// For `node --import`: navigator.gpu by Dawn, for programs that take what the runtime offers.
//   DAWN_NODE=.../dawn.node node --import ./bench/dawn-global.mjs runtime/dist/cli.js check ...

import { installDawn } from './lib/dawn.mjs';

await installDawn((process.env.DAWN_TOGGLES ?? '').split(' ').filter(Boolean));
