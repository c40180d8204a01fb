// Node 20 lacks what js-libp2p uses since it targets Node 22.
export function polyfill () {
  Promise.withResolvers ??= function () {
    let resolve, reject
    const promise = new Promise((a, b) => { resolve = a; reject = b })
    return { promise, resolve, reject }
  }
}
