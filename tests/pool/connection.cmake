# Tests of the connection itself, with networks and servers of their own.
add_library(pool_connection_support STATIC hostile.c relay.c tls_server.c)
target_link_libraries(pool_connection_support PUBLIC pool_test_support)

foreach(topic busy_setup deadline dirt fence hostile raw secrets sending setup tls)
  herdgate_criterion(test_pool_${topic} test_${topic}.c)
  target_link_libraries(test_pool_${topic} PRIVATE pool_connection_support)
endforeach()

# What is freed, and a peer that reads whenever it is waited for.
target_link_options(test_pool_secrets PRIVATE
  -Wl,--wrap=free -Wl,--wrap=realloc -Wl,--wrap=redisFreeCommand)
target_link_options(test_pool_sending PRIVATE -Wl,--wrap=ppoll)

herdgate_plain(test_pool_addresses test_addresses.c)
target_link_libraries(test_pool_addresses PRIVATE pool_test_support)
set_tests_properties(test_pool_addresses PROPERTIES SKIP_RETURN_CODE 77)

herdgate_plain(test_pool_poison test_poison.c)
target_link_libraries(test_pool_poison PRIVATE pool_test_support)
