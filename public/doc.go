// Package public serves the pages that people reach with a browser: so far, the approval of a mailing by a personal link in its proof.
//
// It promises: to look changes nothing, whatever fetches the page on a reader's behalf. To act takes a code that is mailed to the
// person's own address when the page asks for it, so whoever a link is forwarded to cannot act for that person. A link that is not one
// is answered as one whose run is gone: nothing can be learned by trying. Pages have no scripts, load nothing and are kept by nobody.
//
// It listens where `public` of jobs.yaml says, in clear: a web server with the certificate stands before it. Where it cannot listen the
// mail goes on, and it tries again.
package public
