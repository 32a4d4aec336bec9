/* Inside: from a row of features to a score. */
#ifndef NPGRU_NETWORK_H
#define NPGRU_NETWORK_H

#include "npgru.h"

void npgru_network_reset(npgru *c);                 /* a clip begins: zeros before it */
npgru_half *npgru_network_row(npgru *c);            /* where the next row of u goes, (NPGRU_MELS,); NULL: skip it */
void npgru_network_push(npgru *c);                  /* the row is there, or to be skipped */
npgru_status npgru_network_end(npgru *c);           /* the clip ends: zeros behind it; NPGRU_NOT_READY: too short for a score */

#endif
