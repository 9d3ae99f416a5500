package postgres

// Ident is ident, for the fuzz target that asks a server what it makes of it.
func Ident(names ...string) string { return ident(names...) }
