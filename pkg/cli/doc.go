// Package cli is kubectl lb: the commands with which people make load balancers, look at them and find out what is
// wrong with them.
//
// [Main] is its only door. Each command has a file of its own and an options struct of its own; a command completes
// and checks its options, then runs. What a command shows is first built as one typed object (packages v1alpha1 and
// view), which every output format prints.
//
// Laws:
//   - Data goes to stdout, everything else to stderr; when a command fails, stdout holds nothing half done.
//   - The exit status says how it went, whatever the output format (see [ExitOK] and its like).
//   - Text from the cluster reaches a terminal only escaped.
//   - Wishes are judged by the controller's own code (source, plan), files are rendered by the daemon's own code.
//   - A command that only reads needs only "get" and "list": no exec, no write. What it may not read, it says so and
//     shows the rest.
//   - No command shells out.
package cli
