"""The portal, the console and the API. Typed in, rendered out; every deed is core's."""
