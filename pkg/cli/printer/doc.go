// Package printer turns what the commands of kubectl lb know into what a terminal, a pipe or a program reads: aligned
// tables in kubectl's form, trees, and every format of -o.
//
// It is the only importer of tablewriter. Text that comes from a cluster reaches a terminal only through [Escape]:
// whoever may write a ConfigMap must not be able to steer the terminal of whoever looks at it. It never decides what
// is shown, and never writes anywhere but to the writer it is given.
package printer
