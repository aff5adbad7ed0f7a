# What `cmake --install` puts where; and libdicomstego, the hiding engine and the capsule as a library of its own.
include(GNUInstallDirs)

# The two lowest rooms in one shared object. Nothing else comes with it: no network, no database, no DICOM toolkit.
add_library(dicomstego_shared SHARED $<TARGET_OBJECTS:ds_dicomstego> $<TARGET_OBJECTS:ds_base>)
set_target_properties(dicomstego_shared PROPERTIES
    OUTPUT_NAME dicomstego VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/libdicomstego.map)
target_link_libraries(dicomstego_shared PRIVATE PkgConfig::OPENSSL PkgConfig::LZMA PkgConfig::ISAL
    Threads::Threads blake3_any m)
target_link_options(dicomstego_shared PRIVATE
    "LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/libdicomstego.map")

install(TARGETS dicomstegod RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS dicomstego_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS dicomstego_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

# The public headers include each other as "base/..." and "dicomstego/...": one folder above both is enough.
set(DICOMSTEGO_HEADERS_DIR ${CMAKE_INSTALL_INCLUDEDIR}/dicomstego)
install(FILES dicomstego/capsule.h dicomstego/engine.h dicomstego/image.h dicomstego/key.h
    dicomstego/lsb.h dicomstego/method.h dicomstego/pool.h
    DESTINATION ${DICOMSTEGO_HEADERS_DIR}/dicomstego)
install(FILES base/base.h base/bytes.h base/error.h base/map.h base/sha256.h
    DESTINATION ${DICOMSTEGO_HEADERS_DIR}/base)
configure_file(${CMAKE_SOURCE_DIR}/cmake/dicomstego.pc.in ${CMAKE_BINARY_DIR}/dicomstego.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/dicomstego.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(page dicomstego.1 dicomstego-audit.1 dicomstego-delivery.1 dicomstego-peer.1
    dicomstego-quarantine.1 dicomstego-study.1 dicomstegod.8)
    string(REGEX REPLACE ".*\\." "" section ${page})
    if(EXISTS ${CMAKE_SOURCE_DIR}/docs/man/${page})
        install(FILES docs/man/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endif()
endforeach()

# systemd looks for units, users and folders in lib/, also where libraries go to lib/x86_64-linux-gnu.
configure_file(${CMAKE_SOURCE_DIR}/packaging/dicomstegod.service.in
    ${CMAKE_BINARY_DIR}/dicomstegod.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/dicomstegod.service DESTINATION lib/systemd/system)
install(FILES packaging/sysusers.conf DESTINATION lib/sysusers.d RENAME dicomstego.conf)

file(GLOB samples ${CMAKE_SOURCE_DIR}/config/*.yaml)
install(FILES ${samples} packaging/prometheus-alerts.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES README.md CHANGELOG.md SECURITY.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
