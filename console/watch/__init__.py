"""READ: live data from the host, each kind behind the `Source` protocol of `console.watch.source`."""
