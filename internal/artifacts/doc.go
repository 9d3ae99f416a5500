// Package artifacts reads a folder of files from an OCI registry: an artifact whose layers are files with
// a title, as `oras push` makes it, or tar archives of a folder, as `flux push artifact` does. A tag is
// resolved to the digest of a manifest by Resolve alone; Fetch takes a digest, and what it returns was
// verified against it, whatever the registry sends.
//
// A registry is a stranger: it may be away, hang, lie, or send archives that name files outside of their
// folder or grow without end. Nothing it sends is written to disk, every answer is bounded in size and
// time, and a login goes to the registry it is for and to no other host by a redirect. Where the registry
// wants a token, the login goes to the server that it names for that, over TLS, and to none that a redirect
// leads to.
//
// Errors are faults (see package fault). Their messages are for users: they hold no part of a login, no
// header and no URL, which may carry a signature, and the library's own errors are not in their chains.
package artifacts

// File is a file of an artifact: its name without a folder, and its text.
type File struct {
	Name    string
	Content []byte
}

// Limits bound an artifact as it lies in the registry and again as it is unpacked.
type Limits struct {
	// Files is how many files and folders there may be, those that are not read included.
	Files int
	// Bytes bounds the sum of all files.
	Bytes int64
}

// Reasons of the faults that this package returns. They are CamelCase condition reasons.
const (
	// ReasonUnavailable : the registry does not answer, or not as a registry should (waiting).
	ReasonUnavailable = "SourceUnavailable"
	// ReasonNotFound : the registry has no such repository, tag or digest (waiting).
	ReasonNotFound = "SourceNotFound"
	// ReasonUnauthorized : the registry refuses the login, or wants one (waiting).
	ReasonUnauthorized = "SourceUnauthorized"
	// ReasonInvalid : the artifact, or what is needed to fetch it, cannot be used.
	ReasonInvalid = "SourceInvalid"
)
