// Package oauth signs accounts in with OAuth 2.0 (RFC 6749) and keeps the tokens that their logins need.
//
// It promises:
//   - A person signs in once, by device code (RFC 8628) or by an address pasted back (an authorization code with PKCE, RFC 7636);
//     from then on [Source.Token] gives a token that is good, renewed ahead of its end.
//   - What a renewal brings is kept, by [Files], before it is used: a server that gives a new refresh token with each renewal
//     may have ended the one before. A crash in between leaves the old one, which most servers still take.
//   - However many ask, one renewal at a time is under way, over all processes that share the files.
//   - A sign-in is of one username and one application: after a change of either it counts as none.
//   - Tokens and secrets go to the configured addresses alone, by https (http on loopback only), and no redirect is followed.
//     No error has one of them in it.
//
// Failure rules: every error of a token is an [Error], which is an outcome of the login. Only what the server's answer says
// for certain, by the names of RFC 6749, RFC 8628 and their kin, needs a person; everything else, a 500 or an answer that is
// none, is trouble of the server and passes. The codes of Microsoft (AADSTS) in an answer choose the remedy's words and nothing else.
package oauth
