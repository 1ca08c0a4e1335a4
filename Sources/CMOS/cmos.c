/* The module is headers only; SwiftPM wants a source file in every C target. */
#include "mos_ext.h"
#include "mos_io.h"
#include "mtcp_util.h"
