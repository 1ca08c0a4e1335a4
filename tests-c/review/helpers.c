/* The scenes and scripts of the other C tests, for the programs of this folder. */
#include "api/scene.c"

#include "api/script.c"
