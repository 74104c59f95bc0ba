// Azurite's telemetry: 200 MB of libraries that no test wants to install, load or run. A package of this
// workspace is taken in their place. The emulator doesn't let Azurite load the real one either.
module.exports = {};
