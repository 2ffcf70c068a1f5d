// Package jobfile reads jobs.yaml and the files it includes.
//
// Its promise: a file that loads can be run, and a file that does not says why in full. Every problem is reported at
// once, each with file, line, column, path, value, message and hint. Nothing is guessed: unknown and duplicate keys,
// wrong types, YAML anchors, aliases and tags, and values that contradict each other are errors.
//
// How it fails:
//   - An error in the main file is fatal: Load returns no File.
//   - An error in an included file leaves out the companies of that file (File.LeftOut) and nobody else. Where two
//     files contradict each other, the later one is wrong.
//   - A warning never stops anything.
//
// Secrets are references. Load never reads one, never opens a connection, and no Problem ever shows what stands under
// a key named password, whatever is wrong there. Secret.Read fetches the value when it is needed.
//
// Relative paths of secrets and certificates start at the folder of the main file, in every file.
package jobfile

//go:generate go run ./docgen ../../docs/jobs-yaml.md
