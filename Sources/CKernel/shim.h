#ifndef CKERNEL_SHIM_H
#define CKERNEL_SHIM_H
#include <sys/epoll.h>
#endif
