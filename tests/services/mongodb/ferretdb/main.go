//go:build tools

// Names the program of FerretDB, so that the modules that it needs are known.
package main

import _ "github.com/FerretDB/FerretDB/cmd/ferretdb"
