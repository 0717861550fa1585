// Package generation keeps the configuration directories of one program: each named by what is in it, one of them
// current.
//
//	<dir>/gen/<id>/…      the files, complete from the moment the name exists
//	<dir>/current         a symbolic link to one of them, replaced by one rename
//	<dir>/running         the id of the one that was last seen to run
//
// The files are not forced to the disk one by one: a generation can be made again from what it was rendered from, and
// [Store.Write] compares what it finds, so a generation that a power cut has damaged is replaced. The two names
// above are forced to the disk, for they say which generation is meant.
//
// The package never reads what the files say and never starts or signals anything.
package generation
