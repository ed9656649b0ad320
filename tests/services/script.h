/* Reads the script of a library that answers by one: a file of lines `KEY VALUE`, read at each call. */
#ifndef PROVTEL_SCRIPT_H
#define PROVTEL_SCRIPT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1024 };

/* Copy the value of a key from the file that a variable names, the last where there are several. Returns 0, or what is
 * to be answered where there is none; a value `error:N` is that answer. */
static int look_up(const char *variable, const char *key, char *value, int missing) {
    const char *path = getenv(variable);
    char line[LONGEST];
    FILE *file = path ? fopen(path, "r") : NULL;
    int found = missing;
    size_t length = strlen(key);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) || line[length] != ' ') continue;
        line[strcspn(line, "\n")] = 0;
        strcpy(value, line + length + 1);
        found = strncmp(value, "error:", 6) ? 0 : atoi(value + 6);
    }
    if (file) fclose(file);
    return found;
}

#endif
